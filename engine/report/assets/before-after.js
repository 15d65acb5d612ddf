start(Viewer);
