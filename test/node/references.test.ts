/** Contract tests: the assumptions of lib/node/references.ts about Node, on this release of Node. */
import { followReferences } from '../../lib/node/references'
import { connectedPair } from '../sockets'

/** Counts the handles and timers that keep this process running. */
function running(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
}

describe('net.Socket#ref and #unref', () => {
  it('still work and return the socket when they are followed', async () => {
    const { client } = await connectedPair()
    const calls: string[] = []
    followReferences(
      client,
      () => calls.push('ref'),
      () => calls.push('unref'),
    )
    const before = running()
    expect(client.unref()).toBe(client)
    expect(running()).toBe(before - 1)
    expect(client.ref()).toBe(client)
    expect(running()).toBe(before)
    expect(calls).toEqual(['unref', 'ref'])
  })
})
