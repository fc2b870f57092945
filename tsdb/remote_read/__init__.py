"""Prometheus remote read: `POST /api/v1/read` → samples, or a stream of chunks.

In: a snappy-packed ReadRequest. Out: what `MetricStore.slices` gives, in the client's encoding.
Files in reading order: limits, request, wire, bits, xor, kernels, encoding, histograms, answers, http.
"""
