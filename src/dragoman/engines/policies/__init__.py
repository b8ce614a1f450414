"""Policies as modules of ours: what plays a finished run, whatever engine has trained it.

An engine trains with networks of its own, and copies their weights into these under the names
that these have. So a run folder is played, exported and distilled without any engine.
"""
