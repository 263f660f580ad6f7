"""What `make bench` runs: the figures that the service must reach, each measured beside what it is compared with."""
