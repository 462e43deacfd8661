/**
 * A long-lived `ip -force -batch -`: commands cost a write instead of a process start, so a cut
 * takes effect within a millisecond. The first such process of a namespace is also what keeps the
 * namespace alive; when it ends, the namespace is gone. Nothing is left in `ip netns list`,
 * because nothing was ever put there.
 */
import type { ChildProcess } from 'node:child_process'
import { environment, spawnTracked } from './children.js'

// Always fails and never stops `ip`. Its error message says that everything before it has run:
// stderr is unbuffered and keeps the order, stdout is neither.
const MARKER = 'route del blackhole 192.0.2.1/32'

/** One `ip` process, in whatever namespace `command` enters. */
export class IpShell {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #stderr = ''
  #lines = 0
  #running: { commands: readonly string[]; firstLine: number } | undefined
  #settle: ((failure: Error | undefined) => void) | undefined
  #queue: Promise<void> = Promise.resolve()
  #closed = false

  /** @param command - what to run: ends in `ip -force -batch -`, possibly behind a shell's exec */
  constructor(command: readonly string[]) {
    const env = environment()
    // A sanitizer preloaded into the tests has no business in here.
    delete env.LD_PRELOAD
    this.#child = spawnTracked(command, { stdio: ['pipe', 'ignore', 'pipe'], env })
    this.pid = this.#child.pid ?? -1
    this.#child.stdin?.on('error', () => {})
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#check()
    })
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => this.#onGone(`ended early: ${this.#stderr.trim()}`, resolve))
      this.#child.once('error', (error) => this.#onGone(error.message, resolve))
    })
  }

  /**
   * Runs the lines in order and resolves when the kernel has taken them all. A line that fails
   * rejects, with the line and the kernel's answer; the lines after it are still run.
   */
  run(commands: readonly string[]): Promise<void> {
    const done = this.#queue.then(() => this.#runNow(commands))
    this.#queue = done.catch(() => {})
    return done
  }

  /** Ends the process, and with its last process the namespace. */
  async close(): Promise<void> {
    this.#closed = true
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #runNow(commands: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Error(`ip (${this.pid}) is closed: ${this.#stderr.trim()}`)
      this.#stderr = ''
      this.#running = { commands, firstLine: this.#lines + 1 }
      this.#lines += commands.length + 1
      this.#settle = (failure) => (failure === undefined ? resolve() : reject(failure))
      this.#child.stdin?.write(`${[...commands, MARKER].join('\n')}\n`)
    })
  }

  #check(): void {
    if (
      this.#running === undefined ||
      !this.#stderr.includes(`Command failed -:${this.#lines}\n`)
    ) {
      return
    }
    const { commands, firstLine } = this.#running
    // Each failure is one or more lines of text, then "Command failed -:<line>".
    const failures = [...this.#stderr.matchAll(/([^]*?)Command failed -:(\d+)\n/g)]
      .map(([, text = '', line]) => ({ text: text.trim(), index: Number(line) - firstLine }))
      .filter(({ index }) => index < commands.length)
      .map(({ text, index }) => `ip ${commands[index]}: ${text}`)
    this.#finish(failures.length === 0 ? undefined : new Error(failures.slice(0, 5).join('\n')))
  }

  #finish(failure: Error | undefined): void {
    const settle = this.#settle
    this.#running = undefined
    this.#settle = undefined
    settle?.(failure)
  }

  #onGone(why: string, resolve: () => void): void {
    this.#closed = true
    this.#finish(new Error(`ip (${this.pid}) ${why}`))
    resolve()
  }
}
