"""`python -m obs.agent`."""

from obs.agent.main import main

raise SystemExit(main())
