/** The order of the two FINs of a connection decides who keeps TIME_WAIT. The kernel does not show it afterwards. */
import { once } from 'node:events'
import { setCloseMode, tcpInfo } from '../../lib'
import { observeClose } from '../../lib/close/hooks'
import type { CloseModeName, Closed } from '../../lib/close/modes'
import { native } from '../../lib/kernel/binding'
import { carrierOf, transportFd } from '../../lib/node/handle'
import type { State } from '../helpers/tcp-table'
import { until } from '../helpers/until'
import { connected, type Pair, type Transport } from './pair'

const transports = ['tcp', 'tls', 'tls over tcp'] as const
const modes: CloseModeName[] = ['deliver', 'fin']
const cases = transports.flatMap((transport) => modes.map((mode) => ({ transport, mode })))

/** Closes the client, and returns the outcome. */
function closeOf({ client }: Pair, mode: CloseModeName): Promise<Closed> {
  const carrier = carrierOf(client)
  setCloseMode(carrier, mode)
  return new Promise((resolve) => {
    observeClose(carrier, resolve)
  })
}

/** Sends the peer's FIN at once, with no data before it. */
function finishPeer({ carrier }: Pair): void {
  expect(native.shutdownWrite(transportFd(carrier))).toBe(0)
}

/** A delayed acknowledgement is sent after 40 ms. Afterwards the kernel no longer shows that the peer's FIN was first. */
const WITHIN_MS = 30

/** Lets the peer finish between end() and shutdown(). Returns undefined if the event loop was slower than the kernel. */
async function crossed(transport: Transport, mode: CloseModeName): Promise<Closed | undefined> {
  const pair = await connected(transport, { allowHalfOpen: true })
  const closed = closeOf(pair, mode)
  // Before the first data, the kernel acknowledges almost at once.
  pair.peer.write('word')
  await once(pair.client, 'data')
  const finished = new Promise<number>((resolve) => {
    pair.client.once('finish', () => {
      resolve(performance.now())
    })
  })
  // libuv calls shutdown() in the next turn of the event loop.
  await new Promise(setImmediate)
  pair.client.end()
  for (let i = 0; i < 10; i++) {
    await new Promise<void>((resolve) => {
      process.nextTick(resolve)
    })
  }
  expect(pair.client.writableFinished).toBe(false)
  const since = performance.now()
  finishPeer(pair)
  expect(tcpInfo(pair.client).state).toBe('CLOSE_WAIT')
  const took = (await finished) - since
  const outcome = await closed
  expect(await pair.left()).toBeUndefined()
  return took < WITHIN_MS ? outcome : undefined
}

async function inState(pair: Pair, wanted: State | undefined): Promise<void> {
  await until(
    `the client is in ${String(wanted)}`,
    () => pair.state(),
    (state) => state === wanted,
  )
}

describe('the TIME_WAIT of a connection that end() closes', () => {
  it.each(cases)('is here if our FIN is first: $mode, $transport', async ({ transport, mode }) => {
    const pair = await connected(transport, { allowHalfOpen: true })
    const closed = closeOf(pair, mode)
    pair.client.resume().end()
    await inState(pair, 'FIN_WAIT2')
    finishPeer(pair)
    expect(await closed).toMatchObject({ mode: 'fin', timeWait: 'here' })
    expect(await pair.left()).toBe('TIME_WAIT')
  })

  it.each(cases)(
    "is the peer's if its FIN comes between end() and shutdown(): $mode, $transport",
    async ({ transport, mode }) => {
      const outcome = await until(
        'the loop is quick enough',
        () => crossed(transport, mode),
        (result) => result !== undefined,
      )
      expect(outcome).toMatchObject({ mode, timeWait: 'peer' })
    },
  )
})

describe('the TIME_WAIT of a connection that another process has shut down', () => {
  /** Calls shutdown() behind Node's back, as a process with a copy of the descriptor may. */
  async function finishUnseen(pair: Pair): Promise<void> {
    native.shutdownWrite(transportFd(pair.client))
    await inState(pair, 'FIN_WAIT2')
  }

  it.each<CloseModeName>(['deliver', 'fin', 'lingering', 'reset'])(
    'is here in mode %s',
    async (mode) => {
      const pair = await connected('tcp', { allowHalfOpen: true })
      const closed = closeOf(pair, mode)
      pair.client.write('word')
      await until(
        'the word has come',
        () => pair.received.bytes,
        (bytes) => bytes === 4,
      )
      await finishUnseen(pair)
      finishPeer(pair)
      await inState(pair, 'TIME_WAIT')
      pair.client.destroy()
      expect((await closed).timeWait).toBe('here')
    },
  )

  it.each(cases)(
    'is here if end() follows the FIN of the peer: $mode, $transport',
    async ({ transport, mode }) => {
      const pair = await connected(transport, { allowHalfOpen: true })
      const closed = closeOf(pair, mode)
      // Node calls end() when the peer has ended.
      pair.client.resume()
      await finishUnseen(pair)
      finishPeer(pair)
      expect((await closed).timeWait).toBe('here')
      expect(await pair.left()).toBe('TIME_WAIT')
    },
  )

  it.each<CloseModeName>(modes)(
    'is here if the FIN of the peer comes at the same time, and end() follows: %s',
    async (mode) => {
      const pair = await connected('tcp', { allowHalfOpen: true })
      const closed = closeOf(pair, mode)
      pair.client.resume()
      const isEnded = once(pair.client, 'end')
      native.shutdownWrite(transportFd(pair.client))
      finishPeer(pair)
      await isEnded
      expect((await closed).timeWait).toBe('here')
      expect(await pair.left()).toBe('TIME_WAIT')
    },
  )

  it.each<CloseModeName>(['deliver', 'fin', 'lingering', 'reset'])(
    'is avoided in mode %s if the peer resets the connection afterwards',
    async (mode) => {
      const pair = await connected('tcp', { allowHalfOpen: true })
      const closed = closeOf(pair, mode)
      await finishUnseen(pair)
      pair.carrier.resetAndDestroy()
      await inState(pair, undefined)
      pair.client.destroy()
      expect((await closed).timeWait).toBe('avoided')
    },
  )
})
