"""The collector: requests of any protocol become batches, and batches reach their store, every item accounted for."""
