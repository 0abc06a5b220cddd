"""What a scan gives back: blocks of scores, sparse windows of differences, importance."""
