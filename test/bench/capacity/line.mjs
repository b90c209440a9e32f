/** A line through points, by least squares. */
export const lineThrough = (points) => {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((p) => p.x), mean((p) => p.y)];
  const slope =
    points.reduce((sum, p) => sum + (p.x - x) * (p.y - y), 0) / points.reduce((sum, p) => sum + (p.x - x) ** 2, 0);
  return { slope, start: y - slope * x };
};
