/**
 * The processes this process has started: one list, so that none outlives it.
 *
 * Three things end a child: the owner's `close()`; this process's 'exit' event (also after an
 * uncaught exception); and, when this process is killed outright, the end of the pipe or IPC
 * channel between them, with the parent-death signal behind it for a child that is SIGSTOPped.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

const alive = new Set<ChildProcess>()

/** Where `ip`, `nsenter` and `unshare` live: an ordinary user's PATH often lacks the sbin folders. */
export function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...extra, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin` }
}

/** Starts a command and keeps it on the list until it has exited. */
export function spawnTracked(command: readonly string[], options: SpawnOptions): ChildProcess {
  const [file, ...args] = command
  if (file === undefined) throw new TypeError('there is no command to run')
  const child = spawn(file, args, options)
  if (alive.size === 0) process.on('exit', killAll)
  alive.add(child)
  const forget = () => {
    if (alive.delete(child) && alive.size === 0) process.off('exit', killAll)
  }
  child.once('exit', forget)
  child.once('error', forget)
  return child
}

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}
