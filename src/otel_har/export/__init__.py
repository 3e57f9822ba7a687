"""From complete records to a destination: the HAR processors and the exporters."""
