"""`python -m lb.worker`: started by control only. Arguments: lb.worker.main."""

import signal

if __name__ == "__main__":
    # Before the imports: Ctrl-C reaches the whole process group, and what to do about it control decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    from lb.worker.main import main

    main()
