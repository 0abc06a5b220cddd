"""Long runs: scans and variant lists in resumable stores, alone or on many processes."""
