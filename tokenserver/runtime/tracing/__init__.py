"""Distributed traces: W3C trace context, which requests are traced, their spans, and the export by OTLP."""
