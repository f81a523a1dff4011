"""Figures of evaluations: what rows became, as a report. Pure; `build.build` is the way in."""
