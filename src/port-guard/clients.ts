// Selects clients by address.
import { BlockList, isIPv4 } from 'node:net'
import type { Network } from './options.js'

/**
 * Returns a function that says whether a client is guarded: its address is in `address`, if that is
 * not empty, and not in `except`.
 */
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
