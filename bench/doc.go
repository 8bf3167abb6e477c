// Package bench measures servers side by side: what a request costs them in
// processor time, how many they answer, and how late. `mobius bench` is its
// program.
//
// What is measured is a [Peer]: a program that listens where it is told. A
// [Case] says what is asked of it. [Run] goes through the cases in rounds: in
// each round every peer is started, asked for a while by a load in a process of
// its own ([mobius/bench/load]), and stopped; the order of the peers is another in
// each round, so that what disturbs the machine for a while disturbs all of
// them alike. Ratios belong to a round.
//
// The figures of a sample, and where they come from (Linux; elsewhere, and
// where the kernel does not tell, they are missing and not 0):
//
//   - User, System: the processor time of the server's processes.
//     clock_gettime(2) on the processes' clocks (clock_getcpuclockid(3)) gives
//     the sum to the nanosecond, threads that have ended included. How it
//     divides into user and system is sampled by the kernel's tick.
//   - Voluntary and involuntary context switches: /proc/PID/task/TID/status.
//   - System calls: a counter on the tracepoint raw_syscalls:sys_enter
//     (perf_event_open(2)), which needs privileges and slows each call down: so
//     it is taken in a sample of its own, and is given per request.
//   - Mallocs, GCs: of programs that answer as package control says.
//   - Descriptors, resident memory: /proc/PID/fd and smaps_rollup, at the end
//     of the measured time; in idle cases what the connections have added.
//
// Servers are pinned to some processors and the load to others
// (sched_setaffinity(2)) where there are two or more. A sample in which other
// programs, or the machine's owner, took processor time says so.
package bench
