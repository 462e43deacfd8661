// The checks of `tcp-sse doctor`. Each finding says what follows from it.
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { type LivenessPlan, livenessPlan } from '../liveness/plan.js'
import { capabilities } from '../native/capabilities.js'
import { guardPort } from '../port-guard/guard-port.js'
import { portGuardSettings } from '../port-guard/options.js'
import { whyNoDestroy, whyNoDump, whyNoTaking } from '../tcp/diag.js'

/** The result of one check. */
export interface Finding {
  readonly about: string
  readonly value: string
  /**
   * `ok`; `weaker`: detection is limited as `note` says; `missing`: detection is not guaranteed.
   */
  readonly status: 'ok' | 'weaker' | 'missing'
  readonly note: string
}

/** All findings, from the kernel to the guarantee. */
export function findings(detectWithin: number | undefined, ports: readonly number[]): Finding[] {
  return [
    ...system(),
    ...library(),
    ...outside(),
    ...limits(),
    ...promise(livenessPlan(detectWithin)),
    ...(ports.length > 0 && whyNoDump() === undefined ? server(ports) : []),
  ]
}

function finding(
  about: string,
  value: string,
  status: Finding['status'] = 'ok',
  note = '',
): Finding {
  return { about, value, status, note }
}

/** `yes`, or `no` with a note. */
function whether(about: string, is: boolean, otherwise: Finding['status'], note: string): Finding {
  return is ? finding(about, 'yes') : finding(about, 'no', otherwise, note)
}

function system(): Finding[] {
  const { addon, reason, platform } = capabilities()
  return [
    finding('system', `${platform} ${os.release()}, Node.js ${process.versions.node}`),
    whether('native addon', addon, 'missing', reason ?? ''),
  ]
}

function library(): Finding[] {
  const { userTimeout, keepAliveDetails, retransmitMax, notSentLowWater } = capabilities()
  return [
    whether('TCP_USER_TIMEOUT', userTimeout, 'missing', 'needs Linux 2.6.37 and the addon'),
    whether(
      'TCP_KEEPINTVL, TCP_KEEPCNT',
      keepAliveDetails,
      'missing',
      'needs the addon, or Node.js 24 or later',
    ),
    whether(
      'TCP_RTO_MAX_MS',
      retransmitMax,
      'weaker',
      'needs Linux 6.15 and the addon. Without it, a window that was shut for long is probed only every 120 s, and a peer that dies behind it is found later',
    ),
    whether(
      'TCP_NOTSENT_LOWAT',
      notSentLowWater,
      'weaker',
      'needs Linux and the addon. Without it, back-pressure shows later',
    ),
  ]
}

function outside(): Finding[] {
  const [noDump, noDestroy] = [whyNoDump(), whyNoDestroy()]
  const noTaking = whyNoTaking()
  const traces = hasCapability(CAP_SYS_PTRACE) && hasCapability(CAP_DAC_READ_SEARCH)
  return [
    whether(
      'list connections of other processes (sock_diag)',
      noDump === undefined,
      'missing',
      noDump ?? '',
    ),
    whether('end them (SOCK_DESTROY)', noDestroy === undefined, 'missing', noDestroy ?? ''),
    whether(
      'arm them (pidfd_getfd)',
      traces && noTaking === undefined,
      'weaker',
      `${noTaking ?? "needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or the server's own user"}. Without it, an idle client is probed only by what its server writes`,
    ),
  ]
}

const SYSCTLS = {
  'net.ipv4.tcp_retries2': 'retransmissions before the kernel itself gives up a connection',
  'net.ipv4.tcp_keepalive_time': 'seconds before keepalive probes, unless a program sets its own',
  'net.ipv4.tcp_rmem': 'bytes of receive buffers: minimum, default, maximum',
  'net.ipv4.tcp_wmem': 'bytes of send buffers, which a vanished client can occupy',
  'net.core.somaxconn': 'connections that may wait for accept',
  'kernel.yama.ptrace_scope': 'above 0, only CAP_SYS_PTRACE may arm sockets of other processes',
}

function limits(): Finding[] {
  const rows = Object.entries(SYSCTLS).flatMap(([name, note]) => {
    const value = read(`/proc/sys/${name.replaceAll('.', '/')}`)
      ?.trim()
      .replaceAll('\t', ' ')
    return value === undefined ? [] : [finding(name, value, 'ok', note)]
  })
  const files = /^Max open files\s+(\d+|unlimited)/m.exec(read('/proc/self/limits') ?? '')?.[1]
  return files === undefined
    ? rows
    : [...rows, finding('open files', files, 'ok', 'limit of this process')]
}

function promise(plan: LivenessPlan): Finding[] {
  const { detectWithin, silence, toleratedOutage, keepAlive } = plan
  const { detectionGuaranteed, reason } = capabilities()
  const found = `found within ${(detectWithin + 1_000) / 1_000} s`
  return [
    whether(
      `in this process: a silent client is ${found}`,
      detectionGuaranteed,
      'missing',
      reason ?? '',
    ),
    finding(
      `from outside: ${found}`,
      whyNoDestroy() === undefined ? 'yes' : 'no',
      whyNoDestroy() === undefined ? 'ok' : 'missing',
      'if something is unanswered. Idle clients are found only with --arm, or if the server writes',
    ),
    finding('silence after which a client is dead', `${silence} ms`),
    finding('longest outage that closes no client', `${toleratedOutage} ms`),
    finding('the same from outside', `${fromOutside(detectWithin)} ms`),
    finding(
      'idle clients are probed after',
      keepAlive === false ? 'never' : `${keepAlive.idle} ms, then every ${keepAlive.interval} ms`,
    ),
  ]
}

/** The guard sets no TCP_RTO_MAX_MS while a window is open. */
function fromOutside(detectWithin: number): number {
  const { armedPlan, plainPlan } = portGuardSettings({ port: 1, detectWithin })
  return Math.min(armedPlan.toleratedOutage, plainPlan.toleratedOutage)
}

/** Checks for a server on a port. */
function server(ports: readonly number[]): Finding[] {
  const guard = guardPort({ port: ports, dryRun: true })
  try {
    const { listening, verdicts } = guard.stats()
    const connections = Object.values(verdicts).reduce((sum, count) => sum + count, 0)
    const name = `port ${ports.join(', ')}`
    return [
      listening > 0
        ? finding(name, `${listening} listening sockets, ${connections} connections`)
        : finding(
            name,
            `no listening socket, ${connections} connections`,
            'missing',
            "start the server, or run this in the server's network namespace",
          ),
    ]
  } finally {
    guard.stop()
  }
}

/** linux/capability.h */
const CAP_DAC_READ_SEARCH = 2n
const CAP_SYS_PTRACE = 19n

function hasCapability(number: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status') ?? '')?.[1]
  return mask !== undefined && ((BigInt(`0x${mask}`) >> number) & 1n) === 1n
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
