"""Tells endpoints of events: signed, retried, and never dialling where nobody should be dialled."""
