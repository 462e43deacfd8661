// Describes when and on which machine figures were measured. A figure is of no use without this.
import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'

/** What stands above every table and in every JSON file. */
export interface Machine {
  readonly node: string
  readonly kernel: string
  readonly cpu: string
  readonly memoryGiB: number
  readonly date: string
  readonly commit: string
  readonly command: string
}

/** The machine as it is now. */
export function machine(command: string): Machine {
  const [first] = cpus()
  return {
    node: process.version,
    kernel: `${type()} ${release()}`,
    cpu: `${cpus().length} x ${first?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    command,
  }
}

/** One paragraph in front of a table. */
export function describeMachine(about: Machine): string {
  const { command, node, kernel, cpu, memoryGiB, date, commit } = about
  return `\`${command}\`; ${cpu}, ${memoryGiB} GiB, ${kernel}, Node ${node}, ${date}, commit ${commit}.`
}

/** The command that was typed, as package.json has it. */
export function commandLine(script: string): string {
  const args = process.argv.slice(2)
  return args.length === 0 ? `npm run ${script}` : `npm run ${script} -- ${args.join(' ')}`
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'native', 'bench') !== ''
    return git('rev-parse', '--short', 'HEAD') + (changed ? ' and changes' : '')
  } catch {
    return 'unknown'
  }
}
