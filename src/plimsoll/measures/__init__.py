"""What a store holds, made into measures: the questions asked of a market, and of a coin."""
