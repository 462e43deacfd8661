/** Builds the three namespaces, and takes them down. */
import { existsSync } from 'node:fs'
import { PLAN } from './addresses.js'
import { IpShell } from './ip-shell.js'
import { type RigMode, unshareCommand } from './support.js'

/** The two ends at which programs run. */
export type Side = 'server' | 'client'

/** Kernel settings of one namespace, by their path below `/proc/sys` or their dotted name. */
export type Sysctls = Readonly<Record<string, string | number>>

/** Three namespaces, joined: server, router, client. */
export interface Network {
  readonly router: IpShell
  /** `ip -6` in the router: what IPv6 rules have to be written with. */
  readonly router6: IpShell | undefined
  readonly server: IpShell
  readonly client: IpShell
  /** The command prefix that runs something on a side. */
  enter(side: Side | 'router'): readonly string[]
  close(): Promise<void>
}

/** Whether the kernel has IPv6. */
export function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6')
}

/** Routes from the router to the clients; a link that goes down takes them with it. */
export function routesToClients(ipv6: boolean): string[] {
  const { clientBase, clientLink, routerToClient } = PLAN
  return [
    // onlink: also while a cut hides the next hop.
    `route replace ${clientBase.v4}/16 via ${clientLink.v4} dev rc onlink`,
    ...(ipv6
      ? [
          `addr replace ${routerToClient.v6}/64 dev rc nodad`,
          `route replace ${clientBase.v6}/112 via ${clientLink.v6} dev rc onlink`,
        ]
      : []),
  ]
}

/** Builds the network: about 20 ms. */
export async function buildNetwork(
  mode: RigMode,
  sysctls: Partial<Record<Side, Sysctls>>,
): Promise<Network> {
  const ipv6 = hasIpv6()
  const shells: IpShell[] = []
  const hold = (prefix: readonly string[], settings: Sysctls) => {
    const shell = new IpShell([...prefix, ...withSysctls(settings), 'ip', '-force', '-batch', '-'])
    shells.push(shell)
    return shell
  }
  const close = async () => {
    await Promise.all(shells.map((shell) => shell.close()))
  }

  try {
    const router = hold(unshareCommand(mode), routerSysctls(ipv6))
    // Its answer says that unshare is done: only then can others enter its user namespace.
    await router.run(['link set lo up'])
    const user =
      mode === 'user' ? ['nsenter', '-t', `${router.pid}`, '-U', '--preserve-credentials'] : []
    const server = hold([...user, 'unshare', '-n'], endSysctls(ipv6, sysctls.server))
    const client = hold([...user, 'unshare', '-n'], endSysctls(ipv6, sysctls.client))
    const enter = (side: Side | 'router') => {
      const { pid } = { router, server, client }[side]
      const flags = mode === 'user' ? ['-U', '--preserve-credentials'] : []
      return ['nsenter', '-t', `${pid}`, ...flags, '-n']
    }
    const router6 = ipv6
      ? new IpShell([...enter('router'), 'ip', '-6', '-force', '-batch', '-'])
      : undefined
    if (router6 !== undefined) shells.push(router6)

    await Promise.all([server.run(['link set lo up']), client.run(['link set lo up'])])
    await router.run([
      `link add rs type veth peer name e0 netns ${server.pid}`,
      `link add rc type veth peer name e0 netns ${client.pid}`,
      ...address('rs', PLAN.routerToServer, ipv6),
      ...address('rc', PLAN.routerToClient, ipv6),
      'link set rs up',
      'link set rc up',
      ...routesToClients(ipv6),
    ])
    await Promise.all([
      server.run(end(PLAN.server, PLAN.routerToServer, ipv6)),
      client.run([
        ...end(PLAN.clientLink, PLAN.routerToClient, ipv6),
        // AnyIP: the whole range is local, so each client can bind an address of its own.
        `route add local ${PLAN.clientBase.v4}/16 dev lo`,
        ...(ipv6 ? [`route add local ${PLAN.clientBase.v6}/112 dev lo`] : []),
      ]),
      router6?.run([]),
    ])
    return { router, router6, server, client, enter, close }
  } catch (error) {
    await close()
    throw error
  }
}

type Pair = { readonly v4: string; readonly v6: string }

function end(own: Pair, router: Pair, ipv6: boolean): string[] {
  return [
    ...address('e0', own, ipv6),
    'link set e0 up',
    `route add default via ${router.v4}`,
    ...(ipv6 ? [`route add default via ${router.v6}`] : []),
  ]
}

function address(device: string, own: Pair, ipv6: boolean): string[] {
  const v4 = `addr add ${own.v4}/24 dev ${device}`
  return ipv6 ? [v4, `addr add ${own.v6}/64 dev ${device} nodad`] : [v4]
}

function ipv6Sysctls(): Sysctls {
  return {
    'net/ipv6/conf/all/disable_ipv6': 0,
    'net/ipv6/conf/default/disable_ipv6': 0,
    // Otherwise the link-local addresses are on trial for a second, and no neighbour is found.
    'net/ipv6/conf/all/accept_dad': 0,
    'net/ipv6/conf/default/accept_dad': 0,
  }
}

function routerSysctls(ipv6: boolean): Sysctls {
  return {
    'net/ipv4/ip_forward': 1,
    // What makes one reject route cut both directions: see cut-table.ts.
    'net/ipv4/conf/all/rp_filter': 1,
    'net/ipv4/conf/all/log_martians': 0,
    'net/ipv4/conf/default/log_martians': 0,
    // Every packet gets its ICMP answer, not one a second.
    'net/ipv4/icmp_ratemask': 0,
    ...(ipv6
      ? { ...ipv6Sysctls(), 'net/ipv6/conf/all/forwarding': 1, 'net/ipv6/icmp/ratelimit': 0 }
      : {}),
  }
}

function endSysctls(ipv6: boolean, own: Sysctls = {}): Sysctls {
  return {
    // IPv4 lets a program bind what AnyIP made local; IPv6 looks only at configured addresses.
    ...(ipv6 ? { ...ipv6Sysctls(), 'net/ipv6/ip_nonlocal_bind': 1 } : {}),
    ...own,
  }
}

/** A shell that writes the settings and then becomes the command that follows. */
function withSysctls(settings: Sysctls): string[] {
  const pairs = Object.entries(settings).flatMap(([name, value]) => [
    `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`,
    `${value}`,
  ])
  const script =
    'while [ "$1" != -- ]; do printf %s "$2" > "$1" || exit 1; shift 2; done; shift; exec "$@"'
  return ['sh', '-c', script, 'sh', ...pairs, '--']
}
