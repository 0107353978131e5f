"""Protection of user sources: login cache, throttle, shared checks, circuit breaker, and the guard that orders them."""
