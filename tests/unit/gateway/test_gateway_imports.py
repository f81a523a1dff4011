"""What importing the gateway costs."""

import subprocess
import sys


def test_the_sdk_is_not_imported_until_a_gateway_is_opened() -> None:
    """It takes up to 3 s, which producers, tests and `celery inspect` need not pay."""
    program = (
        "import sys, worker.gateway.gateway, worker.retrying; print('mistralai' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="."
    )
    assert done.stdout.strip() == "False"
