/** Whether this machine can build the rig, found out by building a very small one. */
import { spawnSync } from 'node:child_process'
import { environment } from './children.js'

/** How namespaces are made: as root, or as an ordinary user inside a user namespace. */
export type RigMode = 'root' | 'user'

/** The answer of {@link rigSupport}. */
export type RigSupport =
  | {
      readonly supported: true
      readonly mode: RigMode
      /** True if `setpriv` can tie a child's life to ours even while the child is stopped. */
      readonly parentDeathSignal: boolean
    }
  | { readonly supported: false; readonly reason: string }

const UNSHARE: Record<RigMode, readonly string[]> = {
  root: ['unshare', '-n'],
  user: ['unshare', '-U', '-r', '-n'],
}

const PROBE = `
set -e
command -v nsenter >/dev/null || { echo 'nsenter is missing (util-linux)' >&2; exit 1; }
ip link add rig0 type veth peer name rig1
ip route add blackhole 10.78.0.1/32
echo 1 > /proc/sys/net/ipv4/ip_forward
if setpriv --pdeathsig KILL true 2>/dev/null; then echo pdeathsig; fi
`

const answers = new Map<RigMode, RigSupport>()

/** The command that makes a new network namespace in this mode. */
export function unshareCommand(mode: RigMode): readonly string[] {
  return UNSHARE[mode]
}

/**
 * Says whether the rig works here, and if not, why. Linux with `iproute2` and `util-linux` is
 * needed, and either root or unprivileged user namespaces. The answer is found once (about
 * 20 ms) and kept.
 *
 * @param mode - asks about one mode; without it, root is tried first where we are root
 */
export function rigSupport(mode?: RigMode): RigSupport {
  if (mode !== undefined) {
    const known = answers.get(mode)
    if (known !== undefined) return known
    const answer = probe(mode)
    answers.set(mode, answer)
    return answer
  }
  const root = process.geteuid?.() === 0 ? rigSupport('root') : undefined
  if (root?.supported) return root
  const user = rigSupport('user')
  if (user.supported || root === undefined) return user
  return { supported: false, reason: `${root.reason}; ${user.reason}` }
}

function probe(mode: RigMode): RigSupport {
  if (process.platform !== 'linux') {
    return {
      supported: false,
      reason: `network namespaces are Linux's, this is ${process.platform}`,
    }
  }
  const [file = '', ...args] = UNSHARE[mode]
  const env = environment()
  delete env.LD_PRELOAD
  const run = spawnSync(file, [...args, 'sh', '-c', PROBE], { env, encoding: 'utf8' })
  if (run.status === 0) {
    return { supported: true, mode, parentDeathSignal: run.stdout.includes('pdeathsig') }
  }
  const why = run.error?.message ?? (run.stderr.trim() || `exit code ${run.status}`)
  return { supported: false, reason: `${UNSHARE[mode].join(' ')}: ${why}` }
}
