"""Reports, replays and live views, from run folders alone; needs no torch."""
