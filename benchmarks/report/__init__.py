"""``python -m benchmarks.report``: what asv measured, on one HTML page without a network.

`results` reads asv's files, `charts` draws, `page` puts the drawings into a page.
"""
