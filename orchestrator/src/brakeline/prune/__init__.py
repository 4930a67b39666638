"""`brakeline prune`: what a stated policy no longer keeps, removed so that a kill leaves nothing broken."""
