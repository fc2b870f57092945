"""Pushgateway's API: metrics of jobs that are too short to be scraped."""
