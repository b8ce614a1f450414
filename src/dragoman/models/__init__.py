"""Text in, numbers out; the only place that knows Transformers."""
