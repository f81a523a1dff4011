"""Templates that attack: to be refused in words, or to make no more than a text may be."""

BIG = "{% set b = 'a' * 10000 %}{% set b = b | replace('a', b[:390]) %}"
"""Sets `b` to 3.9 million characters, which is allowed."""
MEMORY = (
    *(f"{BIG}{{% set x = [{part * 500}] %}}" for part in ("b.upper(),", "b[1:],", "b ~ 1,")),
    *(
        f"{BIG}{{{{ ([b] * 10000) | map('{name}') | list | length }}}}"
        for name in ("upper", "list", "reverse", "trim", "tojson", "string", "sort", "_charged")
    ),
    BIG + "{{ ([b] * 10000) | sort | length }}",
    BIG + "{{ b | list | sort | unique | list | length }}",
    BIG + "{{ b | list | groupby('x') | length }}",
    BIG + "{{ b.split('a') | map('list') | list | length }}",
    BIG + "{{ ([b] * 10000) | tojson | length }}",
    BIG + "{{ ([b] * 10000) | map('replace', 'a', 'b') | join | length }}",
    BIG + "{{ [b] * 10000 }}",
    BIG + "{% for i in ([b] * 10000) | map('upper') %}{{ loop.length }}{% endfor %}",
    "{{ ([[0] * 10000] * 10000) | sum(start=[]) | length }}",
    "{{ range(10 ** 9) | list }}",
    "{{ 'a' * 10 ** 9 }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
)
"""What would fill the memory if each value were bounded alone."""
DEEP = (
    *("{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "{{ " + "-" * 5000 + "1 }}"),
    *("{{ " + "[" * 900 + "]" * 900 + " }}", "{{ " + "not " * 900 + "1 }}"),
    *("{% if 1 %}" * 900 + "{% endif %}" * 900, "{% for a in [1] %}" * 25 + "{% endfor %}" * 25),
    *(
        "{{ 1" + "+1" * 20_000 + " }}",
        "{{ 1" + "|string" * 9000 + " }}",
        "{{ a" + ".b" * 9000 + "}}",
    ),
    *("{{ 1" + "+1" * 120 + " }}", "{{ " + "9" * 5000 + " }}", "{{ 1e9999999 }}{{ 1_" + "}}"),
)
"""What parsers and compilers fall over; none of it compiles."""
WALKS = (
    *(
        "{{ row.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ row | map(attribute='__class__') | list }}",
    ),
    *("{{ [row] | map(attribute='a.__init__.__globals__') | list }}", "{{ self }}", "{{ loop }}"),
    *("{{ [row] | sort(attribute='__class__.__name__') }}", "{{ range.__init__ }}"),
    *("{{ [''] | map(attribute='__class__') | join }}", "{{ namespace(a=1) }}"),
    *("{{ [''] | groupby('__class__') }}", "{{ ['%s'] | map('format', 1) | list }}"),
    *("{{ lipsum.__globals__ }}", "{{ cycler }}", "{{ joiner }}", "{{ dict(a=1) }}"),
    *(
        "{{ [''] | unique(attribute='__class__') | list }}",
        "{{ ['', ''] | max(attribute='__doc__') }}",
    ),
    *("{{ [row] | sum(attribute='__sizeof__') }}", "{{ [row.a.__class__] }}"),
)
"""Ways to Python's own attributes; each fails."""
HALF = ("{{ '\\ud800' }}", "{{ 'a' ~ '\\udfff' }}", "{{ 1e308 * 10 }}", "{{ 2 ** 64 }}")
"""Values that neither JSON nor UTF-8 holds."""
