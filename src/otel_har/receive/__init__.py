"""An OTLP receiver: what comes as events and spans goes to an exporter of entries."""
