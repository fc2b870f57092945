"""Host metrics under node_exporter's names: each file has pure parsers (text → samples) and their probe."""
