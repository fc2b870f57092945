"""Scraping: Prometheus's `scrape_configs` as a receiver of metrics."""
