// Which clients are meant.
import { BlockList, isIPv4 } from 'node:net'
import type { Network } from './options.js'

/** Whether the client with an address is meant: it is among `address`, where that has any, and not among `except`. */
export function clientFilter(
  address: readonly Network[],
  except: readonly Network[],
): (address: string) => boolean {
  const [wanted, unwanted] = [listOf(address), listOf(except)]
  return (client) => {
    const family = isIPv4(client) ? 'ipv4' : 'ipv6'
    if (address.length > 0 && !wanted.check(client, family)) return false
    return except.length === 0 || !unwanted.check(client, family)
  }
}

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family)
  return list
}
