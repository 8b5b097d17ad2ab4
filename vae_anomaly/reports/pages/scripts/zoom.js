// A frame in a stage: as large as it fits, enlarged by wheel, keys or two fingers, and dragged.

const MOST_ZOOM = 16;
const ZOOM_STEP = 1.4;

/** Where the frame of a stage lies, and how large. */
export class Zoom {
  constructor(stage, onChange) {
    Object.assign(this, { stage, onChange, frame: null, ratio: 1, scale: 1, x: 0, y: 0 });
    this.pointers = new Map();
    new ResizeObserver(() => this.place()).observe(stage);
    stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.onDown(event));
    stage.addEventListener("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.onUp(event));
    stage.addEventListener("dblclick", (event) => this.onDouble(event));
  }

  /** Show another frame, as large as it fits. */
  show(frame, ratio) {
    Object.assign(this, { frame, ratio });
    this.fit();
  }

  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.place();
  }

  larger() {
    this.by(ZOOM_STEP);
  }

  smaller() {
    this.by(1 / ZOOM_STEP);
  }

  /** Enlarge by a factor; the point at `x`, `y` from the stage's middle stays where it is. */
  by(factor, x = 0, y = 0) {
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST_ZOOM);
    const grown = scale / this.scale;
    this.x = x - (x - this.x) * grown;
    this.y = y - (y - this.y) * grown;
    this.scale = scale;
    this.place();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.place();
  }

  place() {
    const { clientWidth: across, clientHeight: down } = this.stage;
    if (!this.frame || !across || !down) return;
    const width = Math.min(across, down * this.ratio) * this.scale;
    const height = width / this.ratio;
    this.x = within(this.x, (width - across) / 2);
    this.y = within(this.y, (height - down) / 2);
    Object.assign(this.frame.style, {
      width: `${width}px`,
      height: `${height}px`,
      left: `${(across - width) / 2 + this.x}px`,
      top: `${(down - height) / 2 + this.y}px`,
    });
    this.stage.classList.toggle("is-zoomed", this.scale > 1);
    this.onChange(this.scale);
  }

  onWheel(event) {
    event.preventDefault();
    const [x, y] = this.fromMiddle(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 24 : 1;
    this.by(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), x, y);
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, this.fromMiddle(event));
    this.stage.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.fromMiddle(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    this.move((now[0] - before[0]) / this.pointers.size, (now[1] - before[1]) / this.pointers.size);
    if (!other) return;
    const grown = apart(now, other) / Math.max(apart(before, other), 1);
    this.by(grown, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  onUp(event) {
    this.pointers.delete(event.pointerId);
  }

  onDouble(event) {
    if (this.scale > 1) this.fit();
    else this.by(ZOOM_STEP ** 3, ...this.fromMiddle(event));
  }

  fromMiddle(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  }
}

function within(offset, room) {
  const most = Math.max(room, 0);
  return Math.min(Math.max(offset, -most), most);
}

function apart(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
