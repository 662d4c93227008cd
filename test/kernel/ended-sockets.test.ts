import { EndedSocketRecords, isFinAcknowledged, wasConnected } from '../../lib/kernel/ended-sockets'
import { LITTLE, type U32, type U64 } from '../../lib/kernel/bytes'
import { endedSocketLayout as socket, entriesLeft, tcpInfoLayout } from '../../lib/kernel/layouts'
import { endOf } from '../../lib/ports/ended-connection'

const INFO_BYTES = 232
const NO_RTT = 0xffff_ffff

interface Fields {
  remotePort?: number
  entry?: number
  infoBytes?: number
  minRtt?: number
  options?: number
  sent?: number
  again?: number
  acked?: number
  received?: number
  delivered?: number
  dataSegsOut?: number
  totalRetrans?: number
}

/** Makes the record of an ended socket. */
function recordOf(fields: Fields): EndedSocketRecords {
  const memory = new ArrayBuffer(socket.size)
  const view = new DataView(memory)
  const at = tcpInfoLayout
  view.setUint32(socket.infoLength, fields.infoBytes ?? INFO_BYTES, LITTLE)
  view.setUint16(socket.localPort, 80, LITTLE)
  view.setUint16(socket.remotePort, fields.remotePort ?? 40_000, LITTLE)
  view.setUint8(socket.entry, fields.entry ?? entriesLeft.none)
  view.setUint8(socket.info.at + at.options, fields.options ?? 0)
  const set32 = (offset: U32, value: number): void => {
    view.setUint32(socket.info.at + offset, value, LITTLE)
  }
  const set64 = (offset: U64, value: number): void => {
    view.setBigUint64(socket.info.at + offset, BigInt(value), LITTLE)
  }
  set32(at.minRtt, fields.minRtt ?? 20)
  set32(at.delivered, fields.delivered ?? 0)
  set32(at.dataSegsOut, fields.dataSegsOut ?? 0)
  set32(at.totalRetrans, fields.totalRetrans ?? 0)
  set64(at.bytesSent, fields.sent ?? 0)
  set64(at.bytesRetrans, fields.again ?? 0)
  set64(at.bytesAcked, fields.acked ?? 0)
  set64(at.bytesReceived, fields.received ?? 0)
  return new EndedSocketRecords(memory)
}

const server = { sent: 3, dataSegsOut: 1 }

describe('isFinAcknowledged()', () => {
  it.each<[string, boolean | undefined, Fields, boolean | undefined]>([
    ['shows the FIN of a client, beside its SYN', undefined, { sent: 5, acked: 7 }, true],
    [
      'shows that not all data of a client was acknowledged',
      undefined,
      { sent: 5, acked: 3 },
      false,
    ],
    ['shows that a server sent no FIN', undefined, { ...server, acked: 3, delivered: 2 }, false],
    ['shows a FIN by itself', undefined, { ...server, acked: 4, delivered: 3 }, true],
    [
      'does not show whether a FIN with data is that of a server, or the SYN of a client',
      undefined,
      { ...server, acked: 4, delivered: 2 },
      undefined,
    ],
    ['shows a FIN with data of a server', true, { ...server, acked: 4, delivered: 2 }, true],
    ['shows the SYN of a client', false, { ...server, acked: 4, delivered: 2 }, false],
    [
      'does not rely on segments after a retransmit',
      undefined,
      { ...server, acked: 4, delivered: 3, totalRetrans: 1 },
      undefined,
    ],
    ['counts retransmitted data once', undefined, { sent: 10, again: 5, acked: 7 }, true],
    ['does not know of data in the SYN', undefined, { sent: 5, acked: 7, options: 32 }, undefined],
    ['knows nothing on kernels before 4.19', undefined, { infoBytes: 192, acked: 7 }, undefined],
  ])('%s', (_title, isServer, fields, expected) => {
    expect(isFinAcknowledged(recordOf(fields), 0, isServer)).toBe(expected)
  })
})

describe('wasConnected()', () => {
  it.each<[string, Fields, boolean]>([
    ['a socket with a round-trip time', {}, true],
    ['a listening socket, or a refused one', { minRtt: NO_RTT }, false],
    ['one whose SYN was retransmitted', { minRtt: NO_RTT, delivered: 1 }, true],
    ['one that has received', { minRtt: NO_RTT, received: 1 }, true],
    ['one without info', { infoBytes: 0 }, false],
  ])('judges %s', (_title, fields, expected) => {
    expect(wasConnected(recordOf(fields), 0)).toBe(expected)
  })
})

describe('the end of a connection', () => {
  const { here, atPeer, none, notKnown } = entriesLeft
  const fin = { sent: 5, acked: 7 }
  const noFin = { sent: 5, acked: 5 }

  it.each<[string, Fields, Parameters<typeof endOf>[2], object]>([
    [
      'a TIME_WAIT entry here',
      { ...fin, entry: here },
      undefined,
      { end: 'fin', closedBy: 'here' },
    ],
    [
      'an entry at the peer',
      { ...fin, entry: atPeer },
      undefined,
      { end: 'fin', closedBy: 'peer' },
    ],
    ['no entry', { ...fin, entry: none }, undefined, { end: 'fin', closedBy: undefined }],
    [
      'an unknown entry',
      { ...fin, entry: notKnown },
      undefined,
      { end: 'fin', closedBy: undefined },
    ],
    ['no entry after CLOSE_WAIT', fin, 'CLOSE_WAIT', { end: 'fin', closedBy: 'peer' }],
    ['no entry after LAST_ACK', fin, 'LAST_ACK', { end: 'fin', closedBy: 'peer' }],
    ['no entry after FIN_WAIT2', fin, 'FIN_WAIT2', { end: 'fin', closedBy: 'here' }],
    ['no entry after ESTABLISHED', fin, 'ESTABLISHED', { end: 'fin', closedBy: undefined }],
    ['no acknowledged FIN', noFin, undefined, { end: 'abort', closedBy: undefined }],
    [
      'an entry of another connection',
      { ...noFin, entry: here },
      undefined,
      { end: 'abort', closedBy: undefined },
    ],
    [
      'a port that the kernel forgot',
      { ...noFin, remotePort: 0 },
      undefined,
      { end: 'reset', closedBy: 'here' },
    ],
  ])('follows from %s', (_title, fields, state, expected) => {
    expect(endOf(recordOf(fields), 0, state, undefined)).toEqual(expected)
  })
})
