"""The outside world becomes usage events and GPU samples: collectors (how it arrives) x formats (what it says) -> land."""
