"""Receipts: what stands on them, and how they reach paper or page."""
