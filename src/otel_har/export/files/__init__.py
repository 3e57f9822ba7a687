"""A HAR file that grows: what stands in it, how it is written, and by whom."""
