"""Values and rules without I/O and without a clock: money, token kinds, periods, dated ranges, errors."""
