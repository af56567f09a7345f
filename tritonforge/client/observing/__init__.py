"""What looks on at calls: traces of OpenTelemetry, metrics of Prometheus."""
