import { once } from 'node:events'
import * as net from 'node:net'
import type * as os from 'node:os'
import { SourcePool, connect } from '../../lib'
import { SourceLedger } from '../../lib/connect/source-ledger'
import { coded } from '../helpers/coded'
import { destroyLater, listen } from '../sockets'

const TO = '192.0.2.1:80'

/** Returns a ledger and its clock, which the test moves. */
function ledgerOf(addresses: string[]) {
  const clock = { ms: 5_000 }
  const ledger = new SourceLedger(addresses, () => clock.ms)
  const take = () => {
    const search = ledger.search(TO)
    const address = search.next()
    return { address, lease: search.taken() }
  }
  return { clock, ledger, take }
}

describe('new SourcePool()', () => {
  it("copies the caller's array", () => {
    const given = ['127.0.0.2', '127.0.0.3']
    const pool = new SourcePool(given)
    given.push('127.0.0.4')
    expect(pool.addresses).toEqual(['127.0.0.2', '127.0.0.3'])
    expect(pool.family).toBe(4)
    expect(new SourcePool(['::1']).family).toBe(6)
  })

  it.each<[string, unknown, string]>([
    ['no addresses', [], 'ERR_INVALID_ARG_VALUE'],
    ['undefined', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['a string', '127.0.0.2', 'ERR_INVALID_ARG_TYPE'],
    ['a host name', ['localhost'], 'ERR_INVALID_ARG_VALUE'],
    ['a number', [7], 'ERR_INVALID_ARG_TYPE'],
    ['both families', ['127.0.0.2', '::1'], 'ERR_SOCKET_TUNER_ADDRESS_FAMILY'],
    ['one address twice', ['127.0.0.2', '127.0.0.2'], 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s', (_, addresses, code) => {
    expect(() => new SourcePool(addresses as string[])).toThrow(coded(code))
  })

  it.each([
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:db8::A', '2001:DB8:0::a'],
    ['::ffff:127.0.0.2', '::ffff:7f00:2'],
    ['fe80::1%eth7', 'FE80:0::1%7'],
  ])('refuses %s and %s, which are the same address', (first, second) => {
    const own = { family: 'IPv6', address: 'fe80::1', scopeid: 7 }
    jest
      .spyOn(jest.requireActual<typeof os>('node:os'), 'networkInterfaces')
      .mockReturnValue({ eth7: [own as os.NetworkInterfaceInfo], eth8: undefined })
    expect(() => new SourcePool(['::9', first, second])).toThrow(
      `The argument 'addresses[2]' must not be the same address as addresses[1]. Received '${second}'`,
    )
  })

  afterEach(() => {
    jest.restoreAllMocks()
  })

  it('accepts one link-local address on two interfaces', () => {
    expect(new SourcePool(['fe80::1%lo', 'fe80::1%eth7']).addresses).toHaveLength(2)
  })

  it('recognizes a destination however its address is written', async () => {
    const server = net.createServer((socket) => socket.resume())
    const port = await listen(server, '::1')
    const pool = new SourcePool(['::1'])
    const socket = connect({ host: '0:0:0:0:0:0:0:1', port, source: pool })
    destroyLater(socket)
    await once(socket, 'connect')
    for (const host of ['::1', '0::1', '0:0:0:0:0:0:0:1'])
      expect(pool.usage(host, port)).toMatchObject([{ address: '::1', open: 1 }])
    expect(pool.usage('::2', port)).toMatchObject([{ open: 0 }])
  })

  it('refuses a destination that is not an address', () => {
    const pool = new SourcePool(['127.0.0.2'])
    expect(() => pool.usage('localhost', 80)).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    expect(() => pool.usage('127.0.0.1', 65_536)).toThrow(coded('ERR_OUT_OF_RANGE'))
    expect(() => pool.usage('127.0.0.1', 1.5)).toThrow(coded('ERR_OUT_OF_RANGE'))
  })
})

describe('the ledger of a pool', () => {
  it('uses the address with the fewest connections', () => {
    const { ledger, take } = ledgerOf(['a', 'b', 'c'])
    const taken = Array.from({ length: 6 }, take)
    expect(taken.map(({ address }) => address)).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
    taken[1]?.lease.release(false)
    taken[4]?.lease.release(false)
    expect(take().address).toBe('b')
    expect(ledger.counts(TO).map(({ open }) => open)).toEqual([2, 1, 2])
  })

  it('counts destinations separately', () => {
    const { ledger, take } = ledgerOf(['a', 'b'])
    take()
    expect(ledger.search('192.0.2.2:80').next()).toBe('a')
    expect(ledger.search(TO).next()).toBe('b')
  })

  it('counts TIME_WAIT for 60 s', () => {
    const { clock, ledger, take } = ledgerOf(['a', 'b'])
    take().lease.release(true)
    expect(ledger.counts(TO)).toEqual([
      { open: 0, timeWait: 1 },
      { open: 0, timeWait: 0 },
    ])
    expect(take().address).toBe('b')
    clock.ms += 59_000
    expect(ledger.counts(TO)[0]?.timeWait).toBe(1)
    clock.ms += 1_000
    expect(ledger.counts(TO)[0]?.timeWait).toBe(0)
  })

  it('counts correctly after a long pause', () => {
    const { clock, ledger, take } = ledgerOf(['a'])
    take()
    for (let i = 0; i < 10; i++) take().lease.release(true)
    clock.ms += 1_000_000
    expect(ledger.counts(TO)).toEqual([{ open: 1, timeWait: 0 }])
    take().lease.release(true)
    expect(ledger.counts(TO)).toEqual([{ open: 1, timeWait: 1 }])
  })

  it('counts each release only once', () => {
    const { ledger, take } = ledgerOf(['a'])
    const { lease } = take()
    take()
    lease.release(false)
    lease.release(true)
    expect(ledger.counts(TO)).toEqual([{ open: 1, timeWait: 0 }])
  })

  it('skips a full address until it may have a free port', () => {
    const { clock, ledger } = ledgerOf(['a', 'b'])
    const search = ledger.search(TO)
    expect(search.next()).toBe('a')
    search.full()
    expect(search.next()).toBe('b')
    search.taken()
    expect(ledger.search(TO).next()).toBe('b')
    clock.ms += 250
    expect(ledger.search(TO).next()).toBe('a')
  })

  it('uses a full address again after one of its connections left no TIME_WAIT', () => {
    const { ledger, take } = ledgerOf(['a', 'b'])
    const [one, other] = [take(), take()]
    expect([one.address, other.address]).toEqual(['a', 'b'])
    const search = ledger.search(TO)
    while (search.next() !== undefined) search.full()
    other.lease.release(false)
    expect(ledger.search(TO).next()).toBe('b')
    const again = ledger.search(TO)
    again.next()
    again.full()
    one.lease.release(true)
    // Both are full again: the one that became full first is tried.
    expect(ledger.search(TO).next()).toBe('a')
  })

  it('tries an address that failed after the others for a time', () => {
    const { clock, ledger, take } = ledgerOf(['a', 'b', 'c'])
    const search = ledger.search(TO)
    expect(search.next()).toBe('a')
    search.failed()
    // Also when no other connection is left.
    expect(take().address).toBe('b')
    const { address, lease } = take()
    lease.failed()
    lease.release(false)
    expect(address).toBe('c')
    expect([take(), take()].map((each) => each.address)).toEqual(['b', 'b'])
    clock.ms += 250
    expect(take().address).toBe('a')
  })

  it('remembers an address that failed without open connections', () => {
    const { ledger, take } = ledgerOf(['a', 'b'])
    const search = ledger.search(TO)
    search.next()
    search.failed()
    const { address, lease } = take()
    lease.release(false)
    expect([address, take().address]).toEqual(['b', 'b'])
  })

  it('tries all addresses that failed if the others are full', () => {
    const { clock, ledger } = ledgerOf(['a', 'b', 'c'])
    for (const expected of ['a', 'b']) {
      const search = ledger.search(TO)
      expect(search.next()).toBe(expected)
      search.failed()
      clock.ms += 1
    }
    const search = ledger.search(TO)
    expect(search.next()).toBe('c')
    search.full()
    expect([search.next(), search.next(), search.next()]).toEqual(['a', 'b', undefined])
  })

  it('tries the address that became full first if all are full', () => {
    const { clock, ledger } = ledgerOf(['a', 'b'])
    const search = ledger.search(TO)
    search.next()
    search.full()
    clock.ms += 1
    search.next()
    search.full()
    expect(search.next()).toBeUndefined()
    const again = ledger.search(TO)
    expect(again.next()).toBe('a')
    again.full()
    expect(again.next()).toBeUndefined()
  })
})
