"""A page in the browser: draw digits, train small networks, watch a run (extra ``play``)."""
