"""What holds at a thousand shards, ten thousand trials, and how costs are told to grow."""
