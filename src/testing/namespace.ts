// Network namespaces without names: a process holds each one, and others enter it by that process's
// id. The holder reads a pipe from this process and ends when the pipe is closed. So nothing is
// left behind, however this process ends, SIGKILL included.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { TcpSseError } from '../internal/errors.js'
import { monotonicNow } from '../internal/scheduling.js'

/** A holder starts within some milliseconds. This is long enough for a busy machine. */
const READY_WITHIN = 5_000

/** A namespace that exists while it is open. */
export class Namespace {
  readonly #holder: ChildProcess
  /** The command prefix that enters it. */
  readonly prefix: readonly string[]

  /** @param within - the namespace whose user namespace the new one belongs to, if there is one */
  constructor(within?: Namespace) {
    const user = within === undefined ? userNamespace() : []
    const command = [...(within?.prefix ?? []), 'unshare', ...user, '-n', 'cat']
    this.#holder = spawn(command[0] as string, command.slice(1), {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#holder.on('error', () => {})
    this.#holder.unref()
    const { pid } = this.#holder
    const entersUser = user.length > 0 || within?.prefix.includes('-U')
    this.prefix = [
      'nsenter',
      ...['-t', String(pid)],
      ...(entersUser ? ['-U', '--preserve-credentials'] : []),
      '-n',
    ]
    if (pid === undefined || !becomesReady(pid)) {
      this.close()
      throw new TcpSseError('ERR_RIG', `cannot make a network namespace: ${whyNot(command)}`)
    }
  }

  /** For `ip`, which accepts a process id in place of a name. */
  get id(): string {
    return String(this.#holder.pid)
  }

  /** Runs a command inside and returns what it printed. @throws {TcpSseError} `ERR_RIG` */
  run(args: readonly string[], input = ''): string {
    return run([...this.prefix, ...args], input)
  }

  /** Runs lines of `ip -batch`. Lines whose family `ip` does not guess need `-6`. */
  ip(lines: readonly string[], family: readonly string[] = []): void {
    if (lines.length > 0) this.run(['ip', ...family, '-batch', '-'], `${lines.join('\n')}\n`)
  }

  /** Sets a sysctl of the namespace, by its path below /proc/sys. */
  sysctl(path: string, value: string): void {
    this.run(['tee', `/proc/sys/${path}`], value)
  }

  close(): void {
    this.#holder.kill('SIGKILL')
  }
}

/**
 * Nothing if this process may make namespaces; otherwise options for a user namespace in which it
 * may.
 */
function userNamespace(): readonly string[] {
  return spawnSync('unshare', ['-n', 'true']).status === 0 ? [] : ['-Ur']
}

/** Whether the holder has entered its namespace: the last of its programs is `cat`. */
function becomesReady(pid: number): boolean {
  const deadline = monotonicNow() + READY_WITHIN
  do {
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'latin1') === 'cat\n') return isElsewhere(pid)
      if (/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))) return false
    } catch {
      return false
    }
    // The rig's methods are synchronous, so that a fault takes effect between two lines of a test.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  } while (monotonicNow() < deadline)
  return false
}

function isElsewhere(pid: number): boolean {
  return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net')
}

/** The output of the command when it is run again with its stderr captured. */
function whyNot(command: readonly string[]): string {
  const { stderr, error, status } = spawnSync(command[0] as string, command.slice(1), {
    encoding: 'utf8',
    input: '',
  })
  return error?.message ?? (stderr.trim() || `it ended with ${status}`)
}

function run([program, ...args]: readonly string[], input: string): string {
  const { status, stdout, stderr, error } = spawnSync(program as string, args, {
    encoding: 'utf8',
    input,
  })
  if (status !== 0) {
    const why = error?.message ?? stderr.trim()
    throw new TcpSseError('ERR_RIG', `${program} ${args.join(' ')}: ${why}`)
  }
  return stdout
}
