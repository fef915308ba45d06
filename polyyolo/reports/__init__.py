"""What a run says of itself: verdict, tables, pictures, manifest."""
