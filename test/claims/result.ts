// What came of a claim, and the table of all. Pure.
import { nameOf } from '../support/shape.js'
import { boundByTimeout, boundOf, type Claim, titleOf, tolerated } from './claim.js'
import type { Served } from './served.js'

/** One line of the table. Times in seconds. */
export interface Result {
  readonly phase: string
  readonly by: Claim['by']
  readonly path: string
  readonly kernel: string
  readonly detectWithin: number
  readonly n: number
  /** From the cut (or the server's return) to the close, of those that vanished; `null`: it was still open. */
  readonly min?: number | null | undefined
  readonly median?: number | null | undefined
  readonly max?: number | null | undefined
  readonly bound?: number | undefined
  /** Vanished, and closed later than the bound or not at all. */
  readonly late: number
  /** Living, or gone for no longer than is tolerated, and closed. */
  readonly falseKills: number
  /** Streams that called events delivered which their client's kernel never had. */
  readonly overReports: number
  /** Of those: seconds since the last ACK, at the last look; the shortest and the longest. */
  readonly unheard?: readonly [number, number] | undefined
  readonly reasons: Readonly<Record<string, number>>
  readonly clientMinutes: number
  /** Why the claim could not be tried. */
  readonly failed?: string | undefined
}

/** What was seen of a claim's connections. */
export interface Sight {
  readonly served: readonly Served[]
  /** Addresses of those that vanished, and since when; nobody in other claims. */
  readonly gone: ReadonlySet<string>
  readonly since: number
  readonly overReports: number
  readonly watchedUntil: number
}

const kernelName = (release: string): string => /^\d+\.\d+/.exec(release)?.[0] ?? release

const common = (claim: Claim, release: string) => ({
  phase: titleOf(claim),
  by: claim.by,
  path: nameOf(claim.shape),
  kernel: kernelName(release),
  detectWithin: claim.detectWithin / 1000,
  n: claim.count,
})

/** Judges what was seen. */
export function judgeClaim(claim: Claim, release: string, sight: Sight): Result {
  const { served, gone, since, overReports, watchedUntil } = sight
  const bound = boundOf(claim)
  const vanished = served.filter(({ address }) => gone.has(address))
  const soonest = claim.halt === undefined ? since + tolerated(claim) : 0
  const early = vanished.filter(({ closedAt = Infinity }) => closedAt < soonest)
  const living = served.filter(({ address }) => !gone.has(address))
  const killed = [...early, ...living.filter(({ closedAt }) => closedAt !== undefined)]
  const found = vanished.filter((each) => !early.includes(each))
  const times = found.map(({ closedAt = Infinity }) => closedAt - since).sort((a, b) => a - b)
  const isLate = ({ closedAt = Infinity, timeout = 0 }: Served): boolean =>
    closedAt - since > Math.max(bound, boundByTimeout(claim, timeout))
  const seconds = (time: number | undefined): number | null | undefined =>
    time === Number.POSITIVE_INFINITY ? null : time && Number((time / 1000).toFixed(2))
  const open = served.map(({ openedAt, closedAt = watchedUntil }) => closedAt - openedAt)
  return {
    ...common(claim, release),
    min: seconds(times[0]),
    median: seconds(times[Math.floor((times.length - 1) / 2)]),
    max: seconds(times.at(-1)),
    bound: times.length > 0 ? bound / 1000 : undefined,
    late: found.filter(isLate).length,
    falseKills: killed.length,
    overReports,
    unheard: rangeOf(killed),
    reasons: count(served.map(({ reason = 'open' }) => reason)),
    clientMinutes: Number((open.reduce((sum, time) => sum + time, 0) / 60_000).toFixed(1)),
  }
}

/** A claim that could not be tried. */
export function failedClaim(claim: Claim, release: string, failed: string): Result {
  const none = { late: 0, falseKills: 0, overReports: 0, reasons: {}, clientMinutes: 0 }
  return { ...common(claim, release), ...none, failed }
}

/** Whether a claim holds. */
export const holds = ({ late, falseKills, overReports, failed }: Result): boolean =>
  late === 0 && falseKills === 0 && overReports === 0 && failed === undefined

function rangeOf(killed: readonly Served[]): [number, number] | undefined {
  const times = killed.flatMap(({ unheard }) => (unheard === undefined ? [] : [unheard / 1000]))
  return times.length === 0 ? undefined : [Math.min(...times), Math.max(...times)]
}

function count(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

/** One line for people. */
export function lineOf(result: Result): string {
  const { phase, by, path, kernel, detectWithin, n, overReports } = result
  const what = [kernel, `D ${detectWithin} s`, by, phase, path, `n ${n}`].join(' | ')
  const over = overReports === 0 ? '' : `, over-reported ${overReports}`
  const heard = result.unheard && `, last ACK ${result.unheard.join(' - ')} s old`
  const { late, falseKills, reasons, clientMinutes } = result
  const numbers = `late ${late}, false ${falseKills}${heard ?? ''}${over}, ${words(reasons)}, ${clientMinutes} client-minutes`
  return `${holds(result) ? 'holds' : 'FAILS'} | ${what} | ${timesOf(result)} | ${numbers}`
}

const words = (reasons: Readonly<Record<string, number>>): string =>
  Object.entries(reasons)
    .map(([reason, times]) => `${reason} ${times}`)
    .join(', ')

function timesOf({ min, median, max, failed }: Result): string {
  if (failed !== undefined) return `not tried: ${failed}`
  if (min === undefined) return 'lives'
  return [min, median, max].map((time) => time?.toFixed(2) ?? 'open').join(' / ')
}

const COLUMNS =
  'phase | path | by | D | kernel | n | min / median / max, s | bound, s | late | false | closed as'

/** A table in Markdown, by phase, path and kernel. */
export function tableOf(results: readonly Result[]): string {
  const rows = [...results].sort((a, b) => keyOf(a).localeCompare(keyOf(b))).map(rowOf)
  return [COLUMNS, COLUMNS.replace(/[^|]+/g, ' --- '), ...rows]
    .map((row) => `| ${row.trim()} |`)
    .join('\n')
}

const keyOf = ({ phase, path, by, detectWithin, kernel }: Result): string =>
  [phase, path, by, String(detectWithin).padStart(4), kernel.padStart(5)].join('|')

function rowOf(result: Result): string {
  const { phase, path, by, detectWithin, kernel, n, bound = '', late, falseKills, reasons } = result
  const cells = [phase, path, by, `${detectWithin} s`, kernel, n, timesOf(result), bound]
  return [...cells, late, falseKills, words(reasons)].join(' | ')
}

/** Closes of living clients, by reason, and for how long clients were watched. */
export function sumOf(results: readonly Result[]): string {
  const sum = (pick: (result: Result) => number): number =>
    results.reduce((total, result) => total + pick(result), 0)
  const failing = results.filter((result) => !holds(result)).length
  return [
    `${results.length} claims, ${failing} fail`,
    `${Math.round(sum(({ clientMinutes }) => clientMinutes))} client-minutes`,
    `late ${sum(({ late }) => late)}`,
    `false ${sum(({ falseKills }) => falseKills)}`,
    `over-reports ${sum(({ overReports }) => overReports)}`,
  ].join(', ')
}
