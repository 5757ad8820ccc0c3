// A set of packet ids that costs two bytes a place and makes no garbage: one comes and goes with each message. Pure.

const placesMin = 8;

/**
 * Ids are 1 to 65,535 (MQTT5 section 2.2.1). Open addressing: an id stands at the first free place from that of its
 * low bits on, and clients count ids up, so that it is mostly the first one looked at. At most half of the places are
 * taken. Empty sets take nothing.
 */
export class PacketIdSet {
  #places: Uint16Array | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: number): boolean {
    const places = this.#places;
    return places !== null && places[placeOf(places, id)] === id;
  }

  add(id: number): void {
    if (this.#places === null) this.#places = new Uint16Array(placesMin);
    else if (2 * (this.#size + 1) > this.#places.length) this.#grow(this.#places);
    const places = this.#places;
    const place = placeOf(places, id);
    if (places[place] === id) return;
    places[place] = id;
    this.#size += 1;
  }

  delete(id: number): boolean {
    const places = this.#places;
    if (places === null) return false;
    const place = placeOf(places, id);
    if (places[place] !== id) return false;
    this.#size -= 1;
    close(places, place);
    return true;
  }

  clear(): void {
    this.#places = null;
    this.#size = 0;
  }

  #grow(before: Uint16Array): void {
    const places = new Uint16Array(before.length * 2);
    for (const id of before) if (id !== 0) places[placeOf(places, id)] = id;
    this.#places = places;
  }
}

/** Where the id stands, or the free place where it would. */
function placeOf(places: Uint16Array, id: number): number {
  const mask = places.length - 1;
  let place = id & mask;
  while (places[place] !== 0 && places[place] !== id) place = (place + 1) & mask;
  return place;
}

/** Empties a place, and moves up those behind it that would not be found any more. */
function close(places: Uint16Array, place: number): void {
  const mask = places.length - 1;
  let free = place;
  for (let at = (place + 1) & mask; places[at] !== 0; at = (at + 1) & mask) {
    const home = places[at]! & mask;
    // it may stand anywhere from its home on: does the free place lie between?
    if (((at - home) & mask) < ((at - free) & mask)) continue;
    places[free] = places[at]!;
    free = at;
  }
  places[free] = 0;
}
