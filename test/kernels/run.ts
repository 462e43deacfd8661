// npm run test:kernels: the claims of the promise on kernels of Debian's, emulated, and on this machine's own.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Result } from '../claims/result.js'
import { holds, lineOf, sumOf, tableOf } from '../claims/result.js'
import type { Health } from '../claims/run-claims.js'
import { cProgram } from '../support/c-program.js'
import { bundleClaims } from './bundle.js'
import { runInGuest } from './guest.js'
import { kernelOf, needPrograms } from './packages.js'

const USAGE = `npm run test:kernels -- [VERSION...] [--full] [--select PATTERN] [--living MINUTES] [--in-turn]

  VERSION   of Debian's cloud kernels, as 6.1, or "own": this machine's (default: 6.1 6.12)
  --full    D = 6 and 30 s, all paths, windows shut for up to 300 s (default: what CI runs)
  --select  only claims whose line matches a regular expression, as "guard D 6 .* idle"
  --living  no claims but 150 clients that live on for so many minutes: nobody may be closed
  --in-turn one kernel after the other`

/** A guest that takes longer than this, beside what its claims wait for, hangs: for booting, and for being emulated. */
const OVERHEAD = 600_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    full: { type: 'boolean' },
    select: { type: 'string' },
    living: { type: 'string' },
    'in-turn': { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit()
}

const versions = positionals.length > 0 ? positionals : ['6.1', '6.12']
const results: Result[] = []
const failures: string[] = []
/** By emulated kernel: the longest time for which a server's loop stood still by itself, ms. */
const standstill = new Map<string, number>()
const cache = fileURLToPath(new URL('../../node_modules/.cache/tcp-sse/kernels', import.meta.url))

try {
  await tryAll()
} catch (error) {
  const why = (error as Error).message
  if (process.env.CI === 'true') failures.push(why)
  else console.warn(`SKIPPED: the claims on kernels ${versions.join(', ')}: ${why}`)
}
if (results.length > 0) console.log(`\n${tableOf(results)}\n`)
for (const kernel of new Set(results.map((result) => result.kernel))) {
  console.log(`${kernel}: ${sumOf(results.filter((result) => result.kernel === kernel))}`)
}
for (const result of results.filter((each) => !holds(each))) {
  const excuse = isExcused(result) ? ' (no longer than the emulated machine stood still)' : ''
  console.log(`${lineOf(result)}${excuse}`)
}
for (const failure of failures) console.error(`FAILED: ${failure}`)
const failed = results.filter((result) => !holds(result) && !isExcused(result))
process.exit(failures.length > 0 || failed.length > 0 ? 1 : 0)

/** An emulated machine is ten times slower: what it could not do while its event loop stood still is no fault of the promise. */
function isExcused({ kernel, falseKills, overReports, failed, max, bound }: Result): boolean {
  const stood = standstill.get(kernel)
  if (stood === undefined || failed !== undefined || falseKills + overReports > 0) return false
  return typeof max === 'number' && bound !== undefined && max <= bound + stood / 1000
}

async function tryAll(): Promise<void> {
  const guests = versions.filter((version) => version !== 'own')
  if (guests.length > 0) mayBoot()
  const program = await bundleClaims()
  for (const each of ['pipe', 'shrunk-clients'] as const) cProgram(each)
  // Downloads one after the other: apt has locks.
  const kernels = guests.map((version) => kernelOf(version, cache))
  const runs = [
    ...kernels.map((kernel) => () => inGuest(kernel, program)),
    ...(versions.includes('own') ? [() => here(program)] : []),
  ]
  if (values['in-turn']) for (const run of runs) await run()
  else await Promise.all(runs.map((run) => run()))
}

function mayBoot(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('it needs Linux on x64')
  if (process.getuid?.() !== 0) throw new Error('it needs root')
  needPrograms()
}

function argumentsOf(): string[] {
  const { full, select, living } = values
  return [
    ...(full ? ['--full'] : []),
    ...(select === undefined ? [] : ['--select', select]),
    ...(living === undefined ? [] : ['--living', living]),
  ]
}

function within(): number {
  if (values.living !== undefined) return Number(values.living) * 60_000 + OVERHEAD
  return OVERHEAD * (values.full ? 3 : 1)
}

async function inGuest(kernel: Parameters<typeof runInGuest>[0]['kernel'], program: string) {
  const few = values.full || values.living !== undefined ? [] : ['--few']
  const words = [process.execPath, program, ...argumentsOf(), ...few]
  const command = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  const name = kernel.version
  console.log(`${name}: booting ${kernel.release}`)
  const onLine = (line: string): void => read(name, line)
  try {
    await runInGuest({ kernel, command, within: within(), onLine })
  } catch (error) {
    failures.push(`${name}: ${(error as Error).message}`)
  }
  if (!results.some((result) => result.kernel === name)) failures.push(`${name}: no results`)
}

function here(program: string): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...argumentsOf()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    createInterface(child.stdout).on('line', (line) => read('own', line))
    child.on('close', (code) => {
      if (code !== 0) failures.push(`own: the claims ended with ${code}`)
      resolve()
    })
  })
}

/** What a run says: results and health are JSON, the rest is the kernel's and is shown. */
function read(name: string, line: string): void {
  const json = /@@ (\{.*\})$/.exec(line)?.[1]
  if (json === undefined) {
    if (line !== '') console.log(`${name}: ${line}`)
    return
  }
  const { result, health, failed } = JSON.parse(json) as Said
  if (failed !== undefined) failures.push(`${name}: ${failed}`)
  if (result !== undefined) {
    results.push(result)
    console.log(lineOf(result))
  }
  if (health !== undefined) {
    const { house, problems, longestDelay } = health
    if (name !== 'own' && house.includes('windows')) {
      standstill.set(name, Math.max(longestDelay, standstill.get(name) ?? 0))
    }
    const delay = `the loop stood still for ${Math.round(longestDelay)} ms at most`
    console.log(`${name}: ${house}: ${delay}${problems.map((each) => `\n  ${each}`).join('')}`)
    if (problems.length > 0) failures.push(`${name}: ${problems.join('; ')}`)
  }
}

interface Said {
  readonly result?: Result
  readonly health?: Health
  readonly failed?: string
}
