"""When each request goes out: schedules, the loops that keep to them, the clock."""
