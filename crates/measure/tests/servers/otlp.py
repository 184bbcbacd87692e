"""Sends telemetry with OpenTelemetry's own SDK and exporters, as an app would: otlp.py ENCODING WHAT, the rest as JSON on input.

The endpoint, headers, compression and temporality come by OpenTelemetry's own environment variables.

ENCODING is `proto` or `json`, the module of the exporter. WHAT is `spans` or `histogram` (of `durations_ms`, all of which end
at `at_ms`, or now) or `wsgi` (real requests to an instrumented app in this process that takes `durations_ms` for them).
"""

import importlib
import io
import json
import sys
import time

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

encoding, what = sys.argv[1:3]
given = json.load(sys.stdin)
http = f"opentelemetry.exporter.otlp.{encoding}.http"
resource = Resource.create(given.get("resource", {}))
durations = given["durations_ms"]
statuses = given.get("statuses", [200])


def tracer_provider():
    """Gives what makes spans and sends them at its shutdown."""
    exporter = importlib.import_module(http + ".trace_exporter").OTLPSpanExporter()
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def meter_provider():
    """Gives what makes histograms and sends them when it is told to."""
    exporter = importlib.import_module(http + ".metric_exporter").OTLPMetricExporter()
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider(resource=resource, metric_readers=[reader])


def spans():
    """Sends a server span for each request, with a call within it."""
    provider = tracer_provider()
    tracer = provider.get_tracer("test")
    end = given["at_ms"] * 1_000_000 if "at_ms" in given else time.time_ns()
    for number, duration in enumerate(durations):
        status = statuses[number % len(statuses)]
        attributes = {
            "http.request.method": "GET",
            "http.route": "/",
            "url.path": "/",
            "url.scheme": "http",
            "http.response.status_code": status,
            **given.get("attributes", {}),
        }
        start = end - int(duration * 1_000_000)
        span = tracer.start_span("GET /", kind=SpanKind.SERVER, attributes=attributes, start_time=start)
        # What happens within a request is no request.
        inner = tracer.start_span("SELECT", context=set_span_in_context(span), kind=SpanKind.CLIENT, start_time=start)
        inner.end(end_time=end)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=end)
    provider.shutdown()


def histogram():
    """Sends a histogram of the requests."""
    provider = meter_provider()
    meter = provider.get_meter("test")
    # The bounds that the conventions ask for.
    bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    recorded = meter.create_histogram("http.server.request.duration", unit="s", explicit_bucket_boundaries_advisory=bounds)
    meter.create_up_down_counter("http.server.active_requests").add(1, {"http.request.method": "GET"})
    for number, duration in enumerate(durations):
        status = statuses[number % len(statuses)]
        attributes = {"http.request.method": "GET", "http.route": "/", "http.response.status_code": status}
        recorded.record(duration / 1000, attributes)
        if number in given.get("flush_after", []):
            provider.force_flush()
    provider.shutdown()


def wsgi():
    """Makes real requests to an instrumented app."""
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    traces, metrics = tracer_provider(), meter_provider()

    def app(environ, start_response):
        time.sleep(int(environ["QUERY_STRING"]) / 1000)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    instrumented = OpenTelemetryMiddleware(app, tracer_provider=traces, meter_provider=metrics)
    for duration in durations:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "QUERY_STRING": str(duration),
            "SERVER_NAME": "app.example",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
        }
        answer = instrumented(environ, lambda status, headers, exc_info=None: None)
        list(answer)
        getattr(answer, "close", lambda: None)()
    traces.shutdown()
    metrics.shutdown()


{"spans": spans, "histogram": histogram, "wsgi": wsgi}[what]()
